//go:build !linux

package file

import "os"

// appendOnly refuses a folder in which nothing can be replaced. This system
// isn't asked: the delivery will show.
func (p *place) appendOnly() error { return nil }

// hindrance is what the file system says against replacing the file. This
// system isn't asked: the delivery will show.
func (p *place) hindrance() error { return nil }

// Access control lists of this system aren't carried over.

func readACL(*os.File) ([]byte, error) { return nil, nil }

func writeACL(*os.File, []byte) error { return nil }
