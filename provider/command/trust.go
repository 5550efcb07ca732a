package command

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"

	"github.com/rota-dev/rota/provider"
)

// trusted refuses a program if anyone but root and this user could have replaced it:
// the program itself, its interpreter, a file that's one of its arguments, such as a
// script, or a folder or a link on the way there.
func (r *runner) trusted(program string) error {
	files := []string{program}
	for _, argument := range r.config.Command[1:] {
		if !filepath.IsAbs(argument) {
			argument = filepath.Join(r.config.Dir, argument) // as the program will see it
		}
		if info, err := os.Stat(argument); err == nil && info.Mode().IsRegular() {
			files = append(files, argument)
		}
	}
	for _, file := range files {
		if err := provider.TrustedPath(file); err != nil {
			return err
		}
		if interpreter := r.interpreter(file); interpreter != "" {
			if err := provider.TrustedPath(interpreter); err != nil {
				return err
			}
		}
	}
	return nil
}

// interpreter is what runs a script; "" for anything else.
func (r *runner) interpreter(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return "" // whoever may not read it can't be told more
	}
	defer func() { _ = f.Close() }()
	line, _ := bufio.NewReaderSize(f, 256).ReadSlice('\n')
	text, script := strings.CutPrefix(string(line), "#!")
	words := strings.Fields(text)
	if !script || len(words) == 0 || !filepath.IsAbs(words[0]) {
		return ""
	}
	if filepath.Base(words[0]) != "env" {
		return words[0]
	}
	for _, word := range words[1:] {
		if strings.HasPrefix(word, "-") || strings.Contains(word, "=") {
			continue
		}
		if found, err := r.lookUp(word); err == nil {
			return found
		}
		break
	}
	return ""
}
