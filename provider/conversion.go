package provider

import "fmt"

// Conversion rewrites the files of another tool for what reads Rota's secrets now:
// rota convert NAME FILE….
type Conversion struct {
	// Name is the command's, such as "external-secret".
	Name string
	// Summary is one line about the command, without a full stop; Help is more,
	// wrapped at 80 columns.
	Summary, Help string
	// Options are flags of the command. Validate, if there is one, checks their values
	// before any file is read.
	Options  []Option
	Validate func() error
	// Convert rewrites all files as one text. The error joins everything that's wrong,
	// each a [FileError]; what it's about is left out of the text. Warnings name what
	// couldn't be carried over.
	Convert func(files []ConversionFile) (text []byte, warnings []error, err error)
}

// ConversionFile is a file to convert.
type ConversionFile struct {
	Path string // "-" for standard input
	Text []byte
}

// FileError is what's wrong at a place in a file, or what has no equivalent there.
type FileError struct {
	Path         string
	Line, Column int // from 1
	Err          error
}

// Error is path:line:column: message.
func (e *FileError) Error() string {
	return fmt.Sprintf("%s:%d:%d: %v", e.Path, e.Line, e.Column, e.Err)
}

// Unwrap returns what's wrong, with its remedies.
func (e *FileError) Unwrap() error { return e.Err }
