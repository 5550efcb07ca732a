// The command image builds Rota's container image for linux/amd64 and linux/arm64
// with ko, as an OCI layout in a folder, and pushes it if it's told where to.
//
// The base is made here rather than pulled. Rota's program is static and brings its
// time zones along, so certificate authorities, a user and two folders are all that it
// needs. Nothing has to be tracked and rebuilt when some distribution mends a package
// that isn't used, and the data folder belongs to the user that the image runs as.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/ko/pkg/build"
	"github.com/google/ko/pkg/commands/options"
)

const program = "./cmd/rota"

type settings struct {
	dir, out, push    string
	version, revision string
	module            string // what go.mod in dir calls it
	created           time.Time
	platforms         []string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var s settings
	var created, platforms string
	f := flag.NewFlagSet("image", flag.ContinueOnError)
	f.StringVar(&s.dir, "source", ".", "the `folder` with Rota's go.mod and .ko.yaml")
	f.StringVar(&s.out, "out", "dist/image", "the `folder` for the OCI layout; it must not exist")
	f.StringVar(&s.push, "push", "", "the `repository` to push to; none if it's empty")
	f.StringVar(&s.version, "version", "", "Rota's `version`, such as v1.2.3")
	f.StringVar(&s.revision, "revision", "", "the `commit`")
	f.StringVar(&created, "created", "", "the commit's `date`, as 2006-01-02T15:04:05Z")
	f.StringVar(&platforms, "platforms", "linux/amd64,linux/arm64", "what to build for")
	if err := f.Parse(args); err != nil {
		return err
	}
	if s.version == "" || s.revision == "" {
		return errors.New("-version and -revision are missing")
	}
	var err error
	if s.created, err = time.Parse(time.RFC3339, created); err != nil {
		return fmt.Errorf("-created: %w", err)
	}
	if _, err := os.Stat(s.out); err == nil {
		return fmt.Errorf("%s exists already", s.out)
	}
	s.platforms = strings.Split(platforms, ",")
	list := exec.CommandContext(ctx, "go", "list", "-m")
	list.Dir = s.dir
	module, err := list.Output()
	if err != nil {
		return fmt.Errorf("%s: go list -m: %w", s.dir, err)
	}
	s.module = strings.TrimSpace(string(module))
	// .ko.yaml passes these on to the linker.
	for key, value := range map[string]string{"MODULE": s.module, "VERSION": s.version, "COMMIT": s.revision, "DATE": created} {
		if err := os.Setenv(key, value); err != nil {
			return err
		}
	}
	image, err := buildImage(ctx, s)
	if err != nil {
		return err
	}
	return deliver(ctx, s, image)
}

// annotations are the OCI image specification's, on the index and on each image.
func (s settings) annotations() map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":       "Rota",
		"org.opencontainers.image.description": "Rotates credentials end to end",
		"org.opencontainers.image.source":      "https://" + s.module,
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.version":     strings.TrimPrefix(s.version, "v"),
		"org.opencontainers.image.revision":    s.revision,
		"org.opencontainers.image.created":     s.created.UTC().Format(time.RFC3339),
	}
}

// buildImage builds the program for each platform and puts it onto the base.
func buildImage(ctx context.Context, s settings) (build.Result, error) {
	base, err := newBase(s.created, s.platforms)
	if err != nil {
		return nil, err
	}
	digest, err := base.Digest()
	if err != nil {
		return nil, err
	}
	// ko writes the base's name into the image. No registry has it.
	ref, err := name.NewDigest("rota.invalid/base@" + digest.String())
	if err != nil {
		return nil, err
	}
	config := &options.BuildOptions{WorkingDirectory: s.dir}
	if err := config.LoadConfig(); err != nil {
		return nil, err
	}
	opts := []build.Option{
		build.WithBaseImages(func(context.Context, string) (name.Reference, build.Result, error) { return ref, base, nil }),
		build.WithConfig(config.BuildConfigs),
		build.WithPlatforms(s.platforms...),
		build.WithCreationTime(v1.Time{Time: s.created}),
		build.WithUser(fmt.Sprint(nonroot)),
		build.WithTrimpath(true),
		build.WithDisabledSBOM(), // the programs' own are in the release
		build.WithJobs(1),
	}
	for key, value := range s.annotations() {
		opts = append(opts, build.WithAnnotation(key, value), build.WithLabel(key, value))
	}
	ko, err := build.NewGo(ctx, s.dir, opts...)
	if err != nil {
		return nil, err
	}
	path, err := ko.QualifyImport(program)
	if err != nil {
		return nil, err
	}
	return ko.Build(ctx, path)
}

// deliver writes the image to a folder and, where it's asked for, to a registry.
func deliver(ctx context.Context, s settings, result build.Result) error {
	folder, err := layout.Write(s.out, empty.Index)
	if err != nil {
		return err
	}
	switch image := result.(type) {
	case v1.ImageIndex:
		err = folder.AppendIndex(image)
		if err == nil && s.push != "" {
			err = push(ctx, s, image)
		}
	case v1.Image:
		err = folder.AppendImage(image)
		if err == nil && s.push != "" {
			err = fmt.Errorf("only an image of several platforms is pushed; this one is for %s alone", s.platforms)
		}
	default:
		err = fmt.Errorf("ko built a %T", result)
	}
	if err != nil {
		return err
	}
	digest, err := result.Digest()
	if err != nil {
		return err
	}
	fmt.Println(digest)
	return nil
}

// push gives the image the version as its tag, and latest if it's a release.
func push(ctx context.Context, s settings, index v1.ImageIndex) error {
	tags := []string{strings.TrimPrefix(s.version, "v")}
	if !strings.Contains(s.version, "-") { // not a release candidate
		tags = append(tags, "latest")
	}
	for _, tag := range tags {
		ref, err := name.NewTag(s.push + ":" + tag)
		if err != nil {
			return err
		}
		if err := remote.WriteIndex(ref, index, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
			return fmt.Errorf("push %s: %w", ref, err)
		}
	}
	return nil
}
