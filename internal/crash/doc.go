// Package crash holds the crash matrix, in tests alone: a whole life of a
// credential is played once to learn its outside calls, and then once for each
// call and each way in which it can go wrong. After that the next runs are
// played as cron would start them, and it is checked that they end with a
// working credential and nothing left over. What a single part does on its own
// is tested where the part lives.
package crash
