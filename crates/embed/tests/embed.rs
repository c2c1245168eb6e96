//! The engine embedded in a process, over the store of a folder and over a database: what is asked of
//! it comes to be, or is refused with a reason and advice.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
#![expect(clippy::disallowed_methods, reason = "the store is in a folder that goes with the test")]

/// Makes a test of each function for either store: each is handed a new house.
macro_rules! on_each_store {
    ($($test:ident),* $(,)?) => {
        mod in_a_database {
            $(
                #[test]
                fn $test() {
                    super::$test(&crate::house::House::in_a_database());
                }
            )*
        }
        mod in_a_folder {
            $(
                #[test]
                fn $test() {
                    super::$test(&crate::house::House::in_a_folder());
                }
            )*
        }
    };
}

#[path = "embed/answers.rs"]
mod answers;
#[path = "embed/effects.rs"]
mod effects;
#[path = "embed/house.rs"]
mod house;
#[path = "embed/refusals.rs"]
mod refusals;
