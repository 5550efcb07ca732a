//go:build !linux

package file

// hindrance is what the file system says against replacing the file. This
// system isn't asked: the delivery will show.
func (p *place) hindrance() error { return nil }
