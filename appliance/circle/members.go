package circle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"redhen/provision/ident"
	"redhen/provision/onefile"
	"redhen/provision/p2p"
	"redhen/provision/roster"
	"redhen/provision/wire"
)

// membersFile remembers who the members were, for the day on which the directory
// here cannot be read: the box must then find the others to fetch it again. It
// decides nothing else; the roster is the only allow-list once it is read.
const (
	membersFile = "members"
	maxMembers  = 64 << 10 // bytes
)

type remembered struct {
	Box  ident.BoxID `cbor:"1,keyasint"`
	Name string      `cbor:"2,keyasint,omitempty"`
}

// Remembered returns the members that the box in a state directory had last, none
// when it never had any.
func Remembered(dir string) ([]p2p.Member, error) {
	b, err := onefile.Read(filepath.Join(dir, membersFile), maxMembers)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("members: %w", err)
	}
	var list []remembered
	if err := wire.Unmarshal(b, &list); err != nil {
		return nil, fmt.Errorf("members: %w", err)
	}
	var members []p2p.Member
	for _, r := range list {
		if r.Box.PublicKey() != nil && len(members) < p2p.MaxMembers {
			members = append(members, p2p.Member{Box: r.Box, Name: r.Name})
		}
	}
	return members, nil
}

func (c *Circle) remember(members []p2p.Member) error {
	var list []remembered
	for _, m := range members {
		list = append(list, remembered(m))
	}
	return onefile.Replace(filepath.Join(c.cfg.Dir, membersFile), wire.MustMarshal(list))
}

// FollowMembers keeps the host's members those of the roster, until ctx ends.
func (c *Circle) FollowMembers(ctx context.Context) error {
	last, err := Remembered(c.cfg.Dir)
	if err != nil {
		c.log.Warn("members of last time", "err", err)
	}
	if len(last) > 0 { // without any the host would forget where everybody is
		if err := c.cfg.Host.SetMembers(last); err != nil {
			return fmt.Errorf("members: %w", err)
		}
	}
	for {
		news := c.cfg.Node.News()
		if err := c.tellHost(); err != nil {
			return fmt.Errorf("members: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-news:
		case <-c.nudge:
		}
	}
}

// Ahead tells of a roster that was verified and that the directory here will have
// soon: its members are met until then.
func (c *Circle) Ahead(r *roster.State) {
	c.ahead.Store(r)
	select {
	case c.nudge <- struct{}{}:
	default:
	}
}

func (c *Circle) tellHost() error {
	r := c.Roster()
	if r == nil {
		return nil
	}
	if ahead := c.ahead.Load(); ahead != nil && (ahead.Len() > r.Len() || roster.Compare(ahead, r) == roster.Forked) {
		r = ahead
	}
	if err := c.cfg.Host.SetDeparted(departed(r)); err != nil {
		return err
	}
	var members []p2p.Member
	for _, b := range r.Members() {
		members = append(members, p2p.Member{Box: b.ID, Name: b.Name})
	}
	if err := c.cfg.Host.SetMembers(members); err != nil {
		return err
	}
	if head := r.Head(); head != c.told {
		if err := c.remember(members); err != nil {
			c.log.Warn("remember members", "err", err) // a full disk: it serves only a worse day
			return nil
		}
		c.told = head
	}
	return nil
}

// departed returns the boxes that left and may come home.
func departed(r *roster.State) (boxes []ident.BoxID) {
	for _, b := range r.Boxes() {
		if (b.Status == roster.StatusGone || b.Status == roster.StatusRetired) && len(boxes) < p2p.MaxDeparted {
			boxes = append(boxes, b.ID)
		}
	}
	return boxes
}
