package cli

import (
	"errors"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the manual pages to a folder",
		Args:  argCount(1, 1), Annotations: inPlace(placeNowhere),
		RunE: func(c *cobra.Command, args []string) error {
			date, err := a.manDate()
			if err != nil {
				return err
			}
			//nolint:gosec // manual pages are for everybody to read
			if err := os.Mkdir(args[0], 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return refused(err)
			}
			root := c.Root()
			root.DisableAutoGenTag = true
			setExamplesApart(root)
			header := &doc.GenManHeader{Section: "1", Source: "rota " + Version, Manual: "Rota", Date: &date}
			if err := doc.GenManTree(root, header, args[0]); err != nil {
				return err
			}
			if a.json() {
				return a.document(pathDoc{Path: args[0]})
			}
			a.printf("wrote the manual pages to %s", args[0])
			return nil
		},
	}
}

// manDate is the date on the pages: today, or SOURCE_DATE_EPOCH's, so that the same
// sources give the same pages. It's in UTC, or the month would depend on the
// builder's time zone.
func (a *app) manDate() (time.Time, error) {
	epoch := a.environment["SOURCE_DATE_EPOCH"]
	if epoch == "" {
		return a.Now().UTC(), nil
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return time.Time{}, usage("SOURCE_DATE_EPOCH is %q, which isn't a number of seconds since 1970", epoch)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

var indented = regexp.MustCompile(`(?m)^ {1,3}(\S)`)

// setExamplesApart indents the indented lines of help texts as far as Markdown
// asks for, which is what the pages are made from. Otherwise, their lines would be
// joined like those of any paragraph.
func setExamplesApart(c *cobra.Command) {
	c.Long = indented.ReplaceAllString(c.Long, "    $1")
	for _, sub := range c.Commands() {
		setExamplesApart(sub)
	}
}
