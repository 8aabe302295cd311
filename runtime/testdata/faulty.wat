;; A batched guest that does what the first byte of a value says: 't' traps, 'k' keeps, 'd' drops, 'f' fails, 'v' answers
;; an unknown verdict, 'o' claims an output beyond memory, 'n' fails the whole call, 'l' loops for ever, 'g' grows memory,
;; 'r' replaces without an output, 'h' calls the host without end. It keeps no cursor.
(module
  (import "sp1" "error" (func $error (param i32 i32 i32)))
  (import "sp1" "metric_add" (func $metric (param i32 i64)))
  (memory (export "memory") 1)
  (global $arena (mut i32) (i32.const 16))
  (data (i32.const 0) "because")
  (func (export "sp_abi_v1"))
  (func (export "sp_alloc") (param $n i32) (result i32)
    ;; The arena moves between two places, one of them unaligned, and memory grows until it fits.
    (global.set $arena (select (i32.const 17) (i32.const 64) (i32.eq (global.get $arena) (i32.const 64))))
    (block $fits
      (loop $more
        (br_if $fits (i32.lt_u (i32.add (local.get $n) (i32.const 128)) (i32.shl (memory.size) (i32.const 16))))
        (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then (return (i32.const 0))))
        (br $more)))
    (global.get $arena))
  (func (export "sp_process") (param $in i32) (param $len i32) (result i64)
    (local $i i32) (local $d i32) (local $c i32) (local $off i32)
    (block $end
      (loop $next
        (br_if $end (i32.ge_u (local.get $i) (i32.load offset=8 align=1 (local.get $in))))
        (local.set $d (i32.add (i32.add (local.get $in) (i32.const 32)) (i32.mul (local.get $i) (i32.const 48))))
        (local.set $c (i32.const 0))
        (if (i32.gt_s (i32.load offset=12 align=1 (local.get $d)) (i32.const 0))
          (then (local.set $c (i32.load8_u (i32.add (local.get $in) (i32.load offset=8 align=1 (local.get $d)))))))
        (if (i32.eq (local.get $c) (i32.const 0x74)) (then (unreachable)))
        (if (i32.eq (local.get $c) (i32.const 0x64)) (then (i32.store8 offset=46 (local.get $d) (i32.const 1))))
        (if (i32.eq (local.get $c) (i32.const 0x66)) (then
          (call $error (local.get $i) (i32.const 0) (i32.const 7))
          (i32.store8 offset=46 (local.get $d) (i32.const 2))))
        (if (i32.eq (local.get $c) (i32.const 0x72)) (then (i32.store8 offset=46 (local.get $d) (i32.const 3))))
        (if (i32.eq (local.get $c) (i32.const 0x76)) (then (i32.store8 offset=46 (local.get $d) (i32.const 9))))
        (if (i32.eq (local.get $c) (i32.const 0x6f)) (then (return (i64.const 0x7fffff00_00010000))))
        (if (i32.eq (local.get $c) (i32.const 0x6e)) (then
          (call $error (i32.const -1) (i32.const 0) (i32.const 7))
          (return (i64.const -1))))
        (if (i32.eq (local.get $c) (i32.const 0x67)) (then (drop (memory.grow (i32.const 4)))))
        (if (i32.eq (local.get $c) (i32.const 0x6c)) (then (loop $ever (br $ever))))
        (if (i32.eq (local.get $c) (i32.const 0x68)) (then
          (loop $ever (call $metric (i32.const 0) (i64.const 1)) (br $ever))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (i64.const 0)))
