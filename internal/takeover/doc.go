// Package takeover runs the commands of docs/migrate.md, as tests only: each road
// from another tool to Rota, and back, starting from what that tool leaves behind.
// How a credential is adopted is tested where it's done, in rotation and
// internal/function.
package takeover
