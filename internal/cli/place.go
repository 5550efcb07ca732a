package cli

import (
	"github.com/spf13/cobra"

	"github.com/rota-dev/rota"
)

// Where a command can run, other than on this machine's own configuration
// and store. It's an annotation of the command, under the key place.
const (
	place = "place"
	// placeNowhere marks commands that need neither a server's configuration
	// nor its store, such as schema.
	placeNowhere = "nowhere"
	// placeHere marks commands that must run on the machine with the store.
	placeHere = "here"
	// placeServer marks commands that only a running server can handle.
	placeServer = "server"
)

func inPlace(where string) map[string]string { return map[string]string{place: where} }

// checkPlace rejects a command that can't run where it was told to.
func (a *app) checkPlace(c *cobra.Command) error {
	where := ""
	for p := c; p != nil && where == ""; p = p.Parent() {
		where = p.Annotations[place]
	}
	server := a.serverURL()
	switch {
	case where == placeServer && server == "":
		return rota.WithRemedies(usage("%s needs a running server", c.CommandPath()), append(rota.Command("--server https://rota.example.com"), rota.Outside("set ROTA_SERVER")...))
	case server == "" || where == "" || where == placeServer:
		return nil
	case where == placeNowhere && a.serverFlag == "":
		return nil
	case where == placeNowhere:
		return rota.WithRemedies(usage("%s doesn't use a server", c.CommandPath()), rota.Outside("leave out --server, and unset ROTA_SERVER"))
	default:
		return rota.WithRemedies(usage("%s only works on the machine with Rota's own store, not over the network", c.CommandPath()), rota.Outside("run it there, without --server and ROTA_SERVER"))
	}
}
