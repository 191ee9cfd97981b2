package flash

import (
	"context"
	"io/fs"

	"redhen/provision/seed"
)

// Bakery writes cards for other boxes at a running one, from the slot that runs there.
type Bakery struct {
	Own   Own
	Disks fs.FS // rooted at /: tells of disks and mounts
}

// Cards are the disks that a card could be written to.
func (b Bakery) Cards() []Target { return Cards(b.Disks) }

// Look judges the device at path. One that does not look like a card is taken only with
// anyDisk. The error is a *Refusal.
func (b Bakery) Look(path string, anyDisk bool) (Target, error) {
	t, err := Look(b.Disks, path)
	switch {
	case err != nil:
		return t, err
	case !t.Device:
		return t, refuse("%s is no card. Nothing was changed. Name the device of a card in this box's reader.", path)
	case !t.Sure && !anyDisk:
		return t, refuse("%s does not look like a card: it is a %s. Nothing was changed. If you are sure, say that any disk will do.", path, t.Words)
	}
	return t, nil
}

// Bake writes a card with settings, and reads it back. Explain puts the error into words.
func (b Bakery) Bake(ctx context.Context, t Target, s seed.Seed) error {
	image, err := b.Own.Image(ctx)
	if err != nil {
		return err
	}
	defer image.Close()
	return Write(ctx, t, image, s, nil)
}
