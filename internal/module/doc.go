// Package module has the tests of Rota as a module that others require: it
// builds a small program outside of it, and installs the command.
package module
