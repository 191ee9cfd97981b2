package debian

import (
	"context"
	"fmt"
)

// Renew returns pins.txt as Debian is now.
func Renew(ctx context.Context, s *Store) (string, error) {
	now := *s
	now.Unpinned = true
	text := fmt.Sprintf("# Packages of Debian %s that go into the images: name, version, architecture, SHA-256.\n# Written by make pins.\n", Suite)
	for _, arch := range []string{"amd64", "arm64"} {
		names := packages(arch)
		paths, err := now.Get(ctx, arch, names...)
		if err != nil {
			return "", err
		}
		for i, path := range paths {
			version, err := About(ctx, path, "Version")
			if err != nil {
				return "", err
			}
			text += Pin{names[i], version, arch, sumOf(path)}.String() + "\n"
		}
	}
	return text, nil
}
