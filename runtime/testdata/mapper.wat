(module (memory (export "memory") 1) (func (export "sp_abi_v1")) (func (export "sp_alloc") (param i32) (result i32) (i32.const 8)) (func (export "sp_map") (param $p i32) (param $n i32) (result i64) (local $c i32) (local.set $c (i32.load8_u (local.get $p)))
 (if (i32.eq (local.get $c) (i32.const 0x2d)) (then (return (i64.const -1)))) (if (i32.eq (local.get $c) (i32.const 0x64)) (then (return (i64.const 0))))
 (if (i32.eq (local.get $c) (i32.const 0x65)) (then (return (i64.const -2)))) (if (i32.eq (local.get $c) (i32.const 0x77)) (then (return (i64.const 0x7fffff0000001000))))
 (i64.or (i64.shl (i64.extend_i32_u (local.get $p)) (i64.const 32)) (i64.const 1))))
