(module (memory (export "memory") 1) (func (export "sp_abi_v1")) (func (export "sp_alloc") (param i32) (result i32) (i32.const 8)) (func (export "sp_process") (param i32) (result i64) (i64.const 0)))
