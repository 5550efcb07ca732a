package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// nonroot is the user that the image runs as. Distroless images have the same.
const nonroot = 65532

// newBase is the image that the program is put onto, for each platform.
func newBase(created time.Time, platforms []string) (v1.ImageIndex, error) {
	content, err := baseLayer(created)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, platform := range platforms {
		system, arch, _ := strings.Cut(platform, "/")
		image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
		image, err := mutate.Append(image, mutate.Addendum{
			Layer:   layer,
			History: v1.History{Created: v1.Time{Time: created}, CreatedBy: "deploy/release/image"},
		})
		if err != nil {
			return nil, err
		}
		image, err = mutate.ConfigFile(image, withPlatform(image, system, arch, created))
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: system, Architecture: arch}},
		})
	}
	return index, nil
}

func withPlatform(image v1.Image, system, arch string, created time.Time) *v1.ConfigFile {
	config, err := image.ConfigFile()
	if err != nil {
		return nil // an image that was just made has one
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = system, arch
	config.Created = v1.Time{Time: created}
	config.Config.User = fmt.Sprint(nonroot)
	config.Config.WorkingDir = "/"
	config.Config.Env = []string{
		"PATH=/ko-app",
		"SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
		"ROTA_CONFIG=/etc/rota/rota.yaml",
		"ROTA_DATA_DIR=/var/lib/rota",
	}
	return config
}

// baseLayer has certificate authorities, the user, and the folders that Rota expects.
func baseLayer(created time.Time) ([]byte, error) {
	roots, err := authorities()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	add := func(name string, mode int64, owner int, content []byte) {
		if err != nil {
			return
		}
		h := &tar.Header{Name: name, Mode: mode, Uid: owner, Gid: owner, Size: int64(len(content)), ModTime: created, Typeflag: tar.TypeReg}
		if strings.HasSuffix(name, "/") {
			h.Typeflag = tar.TypeDir
		}
		if err = w.WriteHeader(h); err == nil {
			_, err = w.Write(content)
		}
	}
	add("etc/", 0o755, 0, nil)
	add("etc/passwd", 0o644, 0, fmt.Appendf(nil, "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:%[1]d:%[1]d:nonroot:/var/lib/rota:/sbin/nologin\n", nonroot))
	add("etc/group", 0o644, 0, fmt.Appendf(nil, "root:x:0:\nnonroot:x:%d:\n", nonroot))
	add("etc/rota/", 0o755, 0, nil)
	add("etc/ssl/", 0o755, 0, nil)
	add("etc/ssl/certs/", 0o755, 0, nil)
	add("etc/ssl/certs/ca-certificates.crt", 0o644, 0, roots)
	add("tmp/", 0o1777, 0, nil)
	add("var/", 0o755, 0, nil)
	add("var/lib/", 0o755, 0, nil)
	// A named volume mounted here gets this owner and mode.
	add("var/lib/rota/", 0o700, nonroot, nil)
	if err != nil {
		return nil, err
	}
	return out.Bytes(), w.Close()
}

// authorities are Mozilla's, as go.sum pins them. Those that Mozilla trusts only for
// certificates issued before some date are left out: a file can't say so.
func authorities() ([]byte, error) {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		if err := pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			return nil, err
		}
	}
	if out.Len() == 0 {
		return nil, fmt.Errorf("x509roots has no certificate authorities")
	}
	return out.Bytes(), nil
}
