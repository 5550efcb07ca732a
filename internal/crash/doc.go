// Package crash contains the crash matrix, as tests only. It plays a
// credential's whole life once to record the calls to outside systems, and then
// once for each call and each way in which it can fail. After that it plays
// further runs, as cron would start them, and checks that they end with a
// working credential and no leftovers. What must be true is the same for every
// provider: each has a fixture, in a file of its own, which says what its system is
// and how to see who can log in there. Individual parts are tested where they live.
package crash
