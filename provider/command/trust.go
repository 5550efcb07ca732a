package command

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rota-dev/rota"
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
		if err := trustedPath(file); err != nil {
			return err
		}
		if interpreter := r.interpreter(file); interpreter != "" {
			if err := trustedPath(interpreter); err != nil {
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

// maxLinks is how many symbolic links a path may have, as in the kernel.
const maxLinks = 40

// trustedPath looks at everything on the way to a file, from the root on. Each
// symbolic link counts, too, with the folders that it lies in.
func trustedPath(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	root := filepath.VolumeName(path) + string(filepath.Separator)
	at, rest, links := root, split(path), 0
	for {
		info, err := os.Lstat(at)
		if err != nil {
			return err
		}
		if err := trustedEntry(at, info); err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			if links++; links > maxLinks {
				return fmt.Errorf("%s: too many symbolic links", path)
			}
			to, err := os.Readlink(at)
			if err != nil {
				return err
			}
			at = filepath.Dir(at)
			if filepath.IsAbs(to) {
				at = root
			}
			rest = append(split(to), rest...)
		}
		if len(rest) == 0 {
			return nil
		}
		at, rest = filepath.Join(at, rest[0]), rest[1:]
	}
}

// split is a path's names, with .. among them.
func split(path string) []string {
	return strings.FieldsFunc(strings.TrimPrefix(path, filepath.VolumeName(path)), func(r rune) bool { return r == filepath.Separator })
}

func trustedEntry(at string, info fs.FileInfo) error {
	uid := ownerOf(info)
	switch mode := info.Mode(); {
	case uid > 0 && uid != os.Geteuid():
		return rota.WithRemedies(fmt.Errorf("%s belongs to user %d, who could change what it does", at, uid),
			rota.Outside(fmt.Sprintf("make root or the user that Rota runs as, %d, its owner", os.Geteuid())))
	case mode&fs.ModeSymlink != 0: // everybody has all permissions on it, which mean nothing
		return nil
	case mode&0o022 != 0 && (!info.IsDir() || mode&fs.ModeSticky == 0) && checksModes:
		return rota.WithRemedies(fmt.Errorf("others than its owner can write to %s, and so change what it does", at), rota.Outside("chmod go-w "+at))
	}
	return nil
}
