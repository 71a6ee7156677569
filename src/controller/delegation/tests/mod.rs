//! What the planner decides, in tables and for whatever there is.
