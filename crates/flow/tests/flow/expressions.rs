//! What a person reads when an expression is wrong, or reads what is not in sight.

use expect_test::expect;

use crate::diagnostics::{check, check_steps};

#[test]
fn expressions() {
    check_steps(
        "
- { id: a, uses: compute, with: { a: \"${{ 1 + }}\" } }
- { id: b, uses: compute, with: { a: \"${{ 1 \" } }
- { id: c, uses: compute, with: { a: \"x ${{ 1.5 * 2 }}\" } }
- { id: d, uses: compute, with: { a: \"${{ inputs.x and true }}\" } }
- { id: e, uses: compute, with: { a: \"${{ foo.bar }}\" } }
- { id: f, uses: compute, with: { a: \"${{ 'a'.matches('(a+)+') }}\" } }
- { id: g, uses: compute, with: { a: \"${{ [1].len() }}\" } }
- { id: h, if: \"item == 1\", foreach: [1], uses: compute, with: { a: \"${{ run.user }}\" } }
- id: i
  uses: compute
  with:
    text: |
      first line
      second ${{ inputs.nam }} and ${{ [1].filter(x, x.y.z > q) }}",
        expect![[r#"
            pay.yaml:5:49: this is not a CEL expression: it ends too early
             5 |   - { id: a, uses: compute, with: { a: "${{ 1 + }}" } }
               |                                                 ^

            pay.yaml:6:41: the expression is not closed
             6 |   - { id: b, uses: compute, with: { a: "${{ 1 " } }
               |                                         ^
               = hint: close it with `}}`, or write `$${{` for a plain `${{`

            pay.yaml:7:47: numbers with a fraction are not allowed
             7 |   - { id: c, uses: compute, with: { a: "x ${{ 1.5 * 2 }}" } }
               |                                               ^
               = hint: use integer minor units, such as cents or milliseconds

            pay.yaml:8:54: this is not a CEL expression: mismatched input 'and'
             8 |   - { id: d, uses: compute, with: { a: "${{ inputs.x and true }}" } }
               |                                                      ^
               = hint: CEL writes `&&`, `||` and `!`

            pay.yaml:9:45: there is nothing called `foo`
             9 |   - { id: e, uses: compute, with: { a: "${{ foo.bar }}" } }
               |                                             ^
               = hint: known here: `inputs`, `steps`, `item`, `index`, `run`

            pay.yaml:10:56: there is no function `matches`
             10 |   - { id: f, uses: compute, with: { a: "${{ 'a'.matches('(a+)+') }}" } }
                |                                                        ^
               = hint: there are no regular expressions; use `contains`, `startsWith` or `split`

            pay.yaml:11:52: there is no function `len`
             11 |   - { id: g, uses: compute, with: { a: "${{ [1].len() }}" } }
                |                                                    ^
               = hint: did you mean `size`?

            pay.yaml:12:19: `item` and `index` are bound only inside a `foreach`
             12 |   - { id: h, if: "item == 1", foreach: [1], uses: compute, with: { a: "${{ run.user }}" } }
                |                   ^
               = hint: its own `if` is decided before it

            pay.yaml:12:76: a run has no `user`
             12 |   - { id: h, if: "item == 1", foreach: [1], uses: compute, with: { a: "${{ run.user }}" } }
                |                                                                            ^
               = hint: known here: `id`, `workflow`, `domain`, `environment`, `initiator`

            pay.yaml:18:64: there is nothing called `q`
             18 |         second ${{ inputs.nam }} and ${{ [1].filter(x, x.y.z > q) }}
                |                                                                ^
               = hint: known here: `x`, `inputs`, `steps`, `item`, `index`, `run`
        "#]],
    );
}

#[test]
fn steps_in_sight() {
    check(
        "
name: x
domain: d
inputs: { folder: { type: string } }
steps:
  - { id: list-all, uses: compute, with: { a: 1 } }
  - { id: b, uses: compute, with: { a: \"${{ steps.list_all.output.a }}\" } }
  - { id: c, needs: [list-all], uses: compute, with: { a: \"${{ steps.list-all.output }}\" } }
  - { id: d, uses: compute, with: { a: \"${{ steps.b.output.a }}\" } }
  - { id: e, needs: [b], uses: compute, with: { a: \"${{ steps.b.ouput.a }} ${{ inputs.foldr }} ${{ steps }}\" } }
  - id: f
    needs: [e]
    steps:
      - { id: inner, uses: compute, with: { a: \"${{ steps.e.output.a + steps.b.output.a }}\" } }
      - { id: late, needs: [inner], uses: compute, with: { a: \"${{ steps.d.status }}\" } }
outputs: { i: \"${{ steps.inner.output }}\", ok: \"${{ steps['list-all'].output }}\" }",
        expect![[r#"
            pay.yaml:7:50: there is no step `list_all` in sight
             7 |   - { id: b, uses: compute, with: { a: "${{ steps.list_all.output.a }}" } }
               |                                                  ^
               = hint: did you mean `steps["list-all"]`?

            pay.yaml:8:75: there is nothing called `all`
             8 |   - { id: c, needs: [list-all], uses: compute, with: { a: "${{ steps.list-all.output }}" } }
               |                                                                           ^
               = hint: an id with `-` is written `steps["list-all"]` in CEL

            pay.yaml:9:50: the step `b` may not be done when this is evaluated
             9 |   - { id: d, uses: compute, with: { a: "${{ steps.b.output.a }}" } }
               |                                                  ^
               = hint: add `needs: [b]` to `d`

            pay.yaml:10:64: a step has no `ouput`
             10 |   - { id: e, needs: [b], uses: compute, with: { a: "${{ steps.b.ouput.a }} ${{ inputs.foldr }} ${{ steps }}" } }
                |                                                                ^
               = hint: did you mean `output`?

            pay.yaml:15:73: the step `d` may not be done when this is evaluated
             15 |       - { id: late, needs: [inner], uses: compute, with: { a: "${{ steps.d.status }}" } }
                |                                                                         ^
               = hint: add `needs: [d]` to `f`

            pay.yaml:16:25: there is no step `inner` in sight
             16 | outputs: { i: "${{ steps.inner.output }}", ok: "${{ steps['list-all'].output }}" }
                |                         ^
               = hint: known here: `b`, `c`, `d`, `e`, `f`, `list-all`
        "#]],
    );
}
