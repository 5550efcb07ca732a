// Package story runs docs/database-password.md as it's written, with the real
// program and real servers, and lets each part of it fail. It contains tests only.
package story
