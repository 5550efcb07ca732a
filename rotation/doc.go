// Package rotation decides what a secret needs and does it: the pure planner
// ([Plan], [Project]), the [Rotator] that carries out one step at a time, the
// [Policy] that says when, and the [Journal] that progress is written to.
//
// It knows the interfaces of package rota only: no provider, no database, no
// configuration file.
package rotation
