//! What an answer is booked at. Nobody can look into the server's count, so it is believed up
//! to what was reserved and no further.

use cog_base::{Micros, Value};
use cog_gate::effect::{ModelChat, Prices};
use cog_gate::{Effect as _, Failure};

use crate::answer::Answer;

/// What an answer costs by its server's count, and what of that is booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bill {
    /// What it costs by the server's count.
    claimed: Micros,
    /// What is booked: at most what was reserved, the worst case of the question.
    pub(crate) booked: Micros,
}

impl Bill {
    pub(crate) fn of(chat: &ModelChat, answer: &Answer, prices: Prices) -> Self {
        let claimed = answer.cost(prices);
        Self { claimed, booked: claimed.min(chat.cost_max(prices)) }
    }

    /// The output, which says so when the server claimed more than can be.
    pub(crate) fn noted(self, mut output: Value) -> Value {
        if let (true, Value::Map(members)) = (self.is_beyond(), &mut output) {
            let note = Value::map([
                ("claimed_micros", Value::from(self.claimed)),
                ("booked_micros", self.booked.into()),
            ]);
            members.insert("overclaimed".into(), note);
        }
        output
    }

    /// The failure, which says so when the server claimed more than can be.
    pub(crate) fn told(self, mut failure: Failure) -> Failure {
        if self.is_beyond() {
            let Self { claimed, booked } = self;
            failure.message.push_str(&format!(
                "; its server counted {claimed}, and {booked}, the worst case, is booked"
            ));
        }
        failure
    }

    fn is_beyond(self) -> bool {
        self.claimed > self.booked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICES: Prices = Prices { input: 1_000_000, output: 2_000_000 };

    fn chat() -> ModelChat {
        let (model, messages) = ("m".into(), Vec::new());
        ModelChat { model, messages, tokens_max: 50, temperature_milli: 0, json: false }
    }

    fn bill(input_tokens: u64, output_tokens: u64) -> Bill {
        let text = |text: &str| text.to_owned();
        let (model, finish_reason) = (text("m"), text("stop"));
        let answer = Answer { text: text("hi"), model, input_tokens, output_tokens, finish_reason };
        Bill::of(&chat(), &answer, PRICES)
    }

    #[test]
    fn a_count_within_the_worst_case_is_booked_as_it_is() {
        let worst = chat().cost_max(PRICES);
        assert_eq!(worst, Micros::new(16 + 100));
        assert_eq!(bill(10, 5).booked, Micros::new(20));
        assert_eq!(bill(16, 50).booked, worst);
        // More of the question than was thought, and less of the answer.
        assert_eq!(bill(40, 10).booked, Micros::new(60));
        let output = Value::map([("text", "hi")]);
        assert_eq!(bill(16, 50).noted(output.clone()), output);
    }

    #[test]
    fn a_count_beyond_it_is_booked_at_the_worst_case_and_named() {
        let worst = chat().cost_max(PRICES);
        for (input, output) in [(17, 50), (9_000_000_000_000_000, 1), (u64::MAX, u64::MAX)] {
            let bill = bill(input, output);
            assert_eq!(bill.booked, worst);
            let noted = bill.noted(Value::map([("text", "hi")]));
            let booked = noted.at(&["overclaimed", "booked_micros"]).and_then(Value::as_u64);
            assert_eq!(booked, Some(116), "{noted}");
            assert!(noted.at(&["overclaimed", "claimed_micros"]).is_some(), "{noted}");
        }
        let failure = Failure { code: "c".into(), message: "no".into(), transient: false };
        let told = bill(17, 50).told(failure).message;
        assert_eq!(
            told,
            "no; its server counted $0.000117, and $0.000116, the worst case, is booked"
        );
    }
}
