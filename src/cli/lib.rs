//! `kubectl countersign`: looks at delegations, follows them back, verifies, makes and revokes them.
