// Package app builds a rota with providers of your own. The program is ten
// lines:
//
//	func main() {
//		app.Main(app.Options{Providers: append(app.Providers(), parcel.Provider())})
//	}
//
// It is all of rota: the command line, rota serve, and the Lambda function.
// rota.yaml and its JSON Schema know the additional providers
// too. examples/provider is such a program, complete and tested.
package app

import (
	"github.com/rota-dev/rota/internal/providers"
	"github.com/rota-dev/rota/provider"
)

// Options say what rota is built with.
type Options struct {
	// Providers are what rota.yaml can name. Defaults to [Providers]. A program
	// whose providers contradict each other, such as with the same key for the
	// same role, ends with an error when it starts.
	Providers []provider.Provider
}

// Providers are Rota's own providers. The list is the caller's to change.
func Providers() []provider.Provider { return providers.List() }
