// The command rota with one more provider: everything that Rota can rotate,
// and the tokens of Parcel.
package main

import (
	"example.com/rota-parcel/parcel"
	"github.com/rota-dev/rota/app"
)

func main() {
	app.Main(app.Options{Providers: append(app.Providers(), parcel.Provider())})
}
