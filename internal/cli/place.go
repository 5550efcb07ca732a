package cli

import "github.com/spf13/cobra"

// Where a command can work besides on this machine's own configuration and
// store: as an annotation of the command, under the key place.
const (
	place = "place"
	// placeNowhere marks commands that concern neither configuration nor store
	// of a server, such as schema.
	placeNowhere = "nowhere"
	// placeHere marks commands for the machine that has the store.
	placeHere = "here"
	// placeServer marks commands for a running server alone.
	placeServer = "server"
)

func inPlace(where string) map[string]string { return map[string]string{place: where} }

// checkPlace refuses a command that can't work where it is told to.
func (a *app) checkPlace(c *cobra.Command) error {
	where := ""
	for p := c; p != nil && where == ""; p = p.Parent() {
		where = p.Annotations[place]
	}
	server := a.serverURL()
	switch {
	case where == placeServer && server == "":
		return usage("%s asks a running server (try: --server https://rota.example.com, or ROTA_SERVER)", c.CommandPath())
	case server == "" || where == "" || where == placeServer:
		return nil
	case where == placeNowhere && a.serverFlag == "":
		return nil
	case where == placeNowhere:
		return usage("%s has nothing to ask a server (try: without --server)", c.CommandPath())
	default:
		return usage("%s works on the machine that has Rota's own store, and not over the network (try: there, without --server and ROTA_SERVER)", c.CommandPath())
	}
}
