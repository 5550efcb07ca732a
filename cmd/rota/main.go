// The command rota rotates credentials end to end. Package app is all of it, so
// that others can build the same with providers of their own.
package main

import "github.com/rota-dev/rota/app"

func main() { app.Main(app.Options{Providers: app.Providers()}) }
