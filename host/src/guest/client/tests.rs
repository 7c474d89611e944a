//! The client against local servers that misbehave.
