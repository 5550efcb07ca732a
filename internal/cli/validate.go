package cli

import "github.com/spf13/cobra"

func (a *app) validateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "validate",
		Short: "Check rota.yaml alone",
		Long:  "Checks rota.yaml alone. It looks at no system, no store and no environment; rota check does.",
		Args:  noArgs, Annotations: inPlace(placeNowhere),
		RunE: func(*cobra.Command, []string) error {
			file, err := a.loadConfig()
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
				a.printf("%s %s", a.paint(a.outStyle, yellow, "warning:"), w.Error())
			}
			a.printf("%s is good: %s, %s", doc.Path, plural(doc.Secrets, "secret"), plural(doc.Connections, "connection"))
			return nil
		},
	}
}
