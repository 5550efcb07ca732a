package cli

import (
	"github.com/spf13/cobra"

	"github.com/rota-dev/rota/internal/hint"
)

func (a *app) validateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "validate",
		Short: "Check rota.yaml on its own",
		Long:  "Checks rota.yaml on its own, without looking at any system, store or environment. Use rota check for that.",
		Args:  noArgs, Annotations: inPlace(placeNowhere),
		RunE: func(c *cobra.Command, _ []string) error {
			file, err := a.loadConfig(c.Context())
			if err != nil {
				return err
			}
			doc := validateDoc{
				Path: file.Path, Secrets: len(file.Document.Secrets),
				Connections: len(file.Document.Connections), Warnings: problemDocs(file.Warnings()),
			}
			if a.json() {
				return a.document(doc)
			}
			for _, w := range file.Warnings() {
				a.printf("%s %s", a.paint(a.outStyle, yellow, "warning:"), hint.Add(w.Error(), w.Remedies))
			}
			a.printf("%s is valid: %s, %s", doc.Path, plural(doc.Secrets, "secret"), plural(doc.Connections, "connection"))
			return nil
		},
	}
}
