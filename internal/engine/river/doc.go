// Package river distributes turns over the daemon's replicas. The leader
// enqueues a job for each due secret, and the workers of all replicas carry
// them out, within the same limits and with the same code as the local
// scheduler.
//
// A job only says that a secret seems to be due. The truth is the secret's row,
// whose lease and fence keep two workers apart, so a job that runs twice, late
// or never does no harm. That's why jobs are never retried: the row says when
// to try again.
//
// This package contains the queue's jobs, its client and its page, but not what
// a turn does or who may see the page.
package river
