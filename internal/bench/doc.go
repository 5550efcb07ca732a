// Package bench holds the benchmarks of the whole: rotations through the heart
// and Rota's own store, against in-memory systems and a real PostgreSQL, and
// the start of the program. Benchmarks of one package lie in that package.
package bench
