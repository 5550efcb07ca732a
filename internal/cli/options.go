package cli

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/rota-dev/rota/provider"
)

// addOptions makes flags of a provider's options.
func addOptions(f *pflag.FlagSet, options []provider.Option) {
	for _, o := range options {
		switch value := o.Value.(type) {
		case *string:
			f.StringVar(value, o.Name, *value, o.Usage)
		case *bool:
			f.BoolVar(value, o.Name, *value, o.Usage)
		case *[]string:
			f.StringSliceVar(value, o.Name, *value, o.Usage)
		default:
			panic(fmt.Sprintf("option --%s: its value is a %T, not a *string, *bool or *[]string", o.Name, o.Value))
		}
	}
}
