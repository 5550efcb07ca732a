// Package river distributes turns over the replicas of the daemon: the leader
// has what is due enqueued as jobs, and the workers of all replicas carry them
// out, within the same limits and by the same code as the local scheduler's.
//
// A job says only that a secret seems to be due. The row of the secret is the
// truth, and its lease and fence keep two workers apart: a job that is done
// twice, late or never does no harm. So jobs are never retried: when to try
// again is in the row.
//
// Here live the queue's jobs, its client and its page; not here: what a turn
// does, and who may see the page.
package river
