;; A batched guest that keeps a cursor and traps on values that begin with 't'.
(module
  (memory (export "memory") 20)
  (func (export "sp_abi_v1"))
  (func (export "sp_alloc") (param $n i32) (result i32) (i32.const 1024))
  (func (export "sp_process") (param $in i32) (param $len i32) (result i64)
    (local $i i32) (local $d i32)
    (block $end
      (loop $next
        (br_if $end (i32.ge_u (local.get $i) (i32.load offset=8 (local.get $in))))
        (i32.store offset=24 (local.get $in) (local.get $i))
        (local.set $d (i32.add (i32.add (local.get $in) (i32.const 32)) (i32.mul (local.get $i) (i32.const 48))))
        (if (i32.eq (i32.const 0x74) (i32.load8_u (i32.add (local.get $in) (i32.load offset=8 (local.get $d))))) (then (unreachable)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (i64.const 0)))
