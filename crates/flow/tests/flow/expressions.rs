//! What a person reads when an expression is wrong, or reads what is not in sight.

use expect_test::expect;

use crate::diagnostics::{check, check_steps};

#[test]
fn a_list_that_cannot_be_read_is_told_once() {
    check_steps(
        "- { id: a, foreach: \"${{ [1 + }}\", uses: compute, with: { i: \"${{ item }}\" } }",
        expect![[r#"
            pay.yaml:5:33: this is not a CEL expression: it ends too early
             5 |   - { id: a, foreach: "${{ [1 + }}", uses: compute, with: { i: "${{ item }}" } }
               |                                 ^
               = hint: count the `[` and `]`
        "#]],
    );
}

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
               = hint: expressions are CEL: docs/guide/workflow.md says what there is

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

            pay.yaml:12:19: `item` and `index` are bound only inside a `foreach` or a `repeat`
             12 |   - { id: h, if: "item == 1", foreach: [1], uses: compute, with: { a: "${{ run.user }}" } }
                |                   ^
               = hint: its own `if` is decided before it

            pay.yaml:12:76: a run has no `user`
             12 |   - { id: h, if: "item == 1", foreach: [1], uses: compute, with: { a: "${{ run.user }}" } }
                |                                                                            ^
               = hint: known here: `id`, `workflow`, `domain`, `environment`, `initiator`, `started_at`

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

#[test]
fn what_is_wrong_in_every_run_is_told_before_one() {
    check_steps(
        "
- { id: a, if: \"5\", uses: compute, with: { a: 1 } }
- { id: b, if: \"${{ 'yes' }}\", foreach: \"${{ 5 }}\", uses: compute, with: { a: \"${{ 'a' + 1 }}\" } }
- { id: c, if: \"${{ null }}\", uses: file.read, with: { root: \"${{ 'inn' }}\", path: \"${{ 2 + 3 }}\" } }
- { id: d, sleep: { ms: \"${{ 5 - 6 }}\" } }
- { id: e, sleep: { ms: \"${{ '5s' }}\" } }
- { id: f, approve: { by: [\"user:ada\"], message: \"${{ [1] }}\" } }
- { id: g, needs: [a], uses: compute, with: { a: \"n ${{ steps.a.output.a + size(5) }} ${{ {'k': 1}.l }}\", b: \"x ${{ [1] }}\" } }
- { id: h, uses: file.write, with: { root: in, path: \"${{ null }}\", document: \"${{ [1] }}\", mode: \"${{ 'app' + 'end' }}\" } }",
        expect![[r#"
            pay.yaml:5:18: `if` must be true or false, this always comes to 5
             5 |   - { id: a, if: "5", uses: compute, with: { a: 1 } }
               |                  ^
               = hint: compare it with something: `… == …`

            pay.yaml:6:18: `if` must be true or false, this always comes to a string
             6 |   - { id: b, if: "${{ 'yes' }}", foreach: "${{ 5 }}", uses: compute, with: { a: "${{ 'a' + 1 }}" } }
               |                  ^
               = hint: compare it with something: `… == …`

            pay.yaml:6:43: `foreach` must be a list, this always comes to 5
             6 |   - { id: b, if: "${{ 'yes' }}", foreach: "${{ 5 }}", uses: compute, with: { a: "${{ 'a' + 1 }}" } }
               |                                           ^
               = hint: a list is written `[a, b]`

            pay.yaml:6:86: this has no value in any run: `+` does not work on string and integer
             6 |   - { id: b, if: "${{ 'yes' }}", foreach: "${{ 5 }}", uses: compute, with: { a: "${{ 'a' + 1 }}" } }
               |                                                                                      ^
               = hint: `string(…)` makes text of a number

            pay.yaml:7:18: `if` must be true or false, this always comes to null
             7 |   - { id: c, if: "${{ null }}", uses: file.read, with: { root: "${{ 'inn' }}", path: "${{ 2 + 3 }}" } }
               |                  ^
               = hint: compare it with something: `… == …`

            pay.yaml:7:64: there is no root `inn`
             7 |   - { id: c, if: "${{ null }}", uses: file.read, with: { root: "${{ 'inn' }}", path: "${{ 2 + 3 }}" } }
               |                                                                ^
               = hint: did you mean `in`?

            pay.yaml:7:86: `path` of `file.read` takes a string, not an integer
             7 |   - { id: c, if: "${{ null }}", uses: file.read, with: { root: "${{ 'inn' }}", path: "${{ 2 + 3 }}" } }
               |                                                                                      ^
               = hint: such as `path: some-text`, in quotes if it is a number

            pay.yaml:8:27: `ms` must be an integer from 0 to 31622400000, this always comes to -1
             8 |   - { id: d, sleep: { ms: "${{ 5 - 6 }}" } }
               |                           ^

            pay.yaml:9:27: `ms` must be an integer from 0 to 31622400000, this always comes to a string
             9 |   - { id: e, sleep: { ms: "${{ '5s' }}" } }
               |                           ^

            pay.yaml:10:52: `message` must be a string, this always comes to a list
             10 |   - { id: f, approve: { by: ["user:ada"], message: "${{ [1] }}" } }
                |                                                    ^

            pay.yaml:11:59: this has no value in any run: `size` does not work on integer
             11 |   - { id: g, needs: [a], uses: compute, with: { a: "n ${{ steps.a.output.a + size(5) }} ${{ {'k': 1}.l }}", b: "x ${{ [1] }}" } }
                |                                                           ^

            pay.yaml:11:119: a list cannot stand within text
             11 |   - { id: g, needs: [a], uses: compute, with: { a: "n ${{ steps.a.output.a + size(5) }} ${{ {'k': 1}.l }}", b: "x ${{ [1] }}" } }
                |                                                                                                                       ^
               = hint: only text and numbers can; take a member of it, or let the value be the expression alone

            pay.yaml:12:56: `path` of `file.write` takes a string, not null
             12 |   - { id: h, uses: file.write, with: { root: in, path: "${{ null }}", document: "${{ [1] }}", mode: "${{ 'app' + 'end' }}" } }
                |                                                        ^
               = hint: such as `path: some-text`, in quotes if it is a number

            pay.yaml:12:81: `document` of `file.write` takes an object, not a list
             12 |   - { id: h, uses: file.write, with: { root: in, path: "${{ null }}", document: "${{ [1] }}", mode: "${{ 'app' + 'end' }}" } }
                |                                                                                 ^
               = hint: such as `document: { amount_cents: 1200 }`

            pay.yaml:12:101: `mode` of `file.write` takes one of `create`, `replace`, not `append`
             12 |   - { id: h, uses: file.write, with: { root: in, path: "${{ null }}", document: "${{ [1] }}", mode: "${{ 'app' + 'end' }}" } }
                |                                                                                                     ^
               = hint: such as `mode: create`
        "#]],
    );
}

#[test]
fn what_may_have_a_value_in_a_run_is_left_to_it() {
    check_steps(
        "
- { id: a, if: \"1 < 2\", foreach: \"${{ [1].map(n, n + 1) }}\", uses: compute, with: { a: \"${{ item }} ${{ 1 }}\" } }
- { id: b, if: \"run.id == 'x' || 'a' + 1 == ''\", uses: compute, with: { a: \"${{ run.id == 'x' ? 1 : 1 / 0 }}\" } }
- { id: c, uses: compute, with: { a: \"${{ fail('not today') }}\", b: \"${{ [].map(n, n / 0) }}\" } }
- { id: d, needs: [c], uses: compute, with: { a: \"${{ steps.c.output.a.filter(n, n / 0 > 1) }}\" } }
- { id: e, uses: file.read, with: { root: \"${{ 'i' + 'n' }}\", path: \"${{ 5 }} ${{ run.id }}\" } }
- { id: f, sleep: { ms: \"${{ 60 * 1000 }}\" } }
- { id: g, approve: { by: [\"user:ada\"], message: \"${{ 5 }}\" } }",
        expect![["fine\n"]],
    );
}

#[test]
fn a_computation_has_members() {
    check_steps(
        "\n- { id: f, uses: compute }",
        expect![[r#"
        pay.yaml:5:5: `compute` needs `with`: its members are the output
         5 |   - { id: f, uses: compute }
           |     ^
           = hint: such as `with: { total: "${{ 1 + 2 }}" }`
    "#]],
    );
}
