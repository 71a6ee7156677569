//! What statements promise, sentence by sentence.
