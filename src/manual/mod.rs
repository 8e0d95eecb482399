//! The manual: why things are as they are. How to use them stands with the things themselves.
