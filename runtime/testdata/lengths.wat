;; A plugin whose sp_init takes start messages of 140 to 150 bytes: it refuses shorter ones without a word, and traps at longer ones.
(module
  (memory (export "memory") 18)
  (func (export "sp_abi_v1"))
  (func (export "sp_alloc") (param i32) (result i32) (i32.const 8))
  (func (export "sp_init") (param i32) (param $n i32) (result i32)
    (if (i32.gt_u (local.get $n) (i32.const 150)) (then (unreachable)))
    (i32.lt_u (local.get $n) (i32.const 140)))
  (func (export "sp_filter") (param i32 i32) (result i32) (i32.const 1)))
