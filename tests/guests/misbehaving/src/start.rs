//! While the component is instantiated.

pub(crate) use crate::ruin::{endless_loop, endless_recursion, memory_growth, panic, sleep};
