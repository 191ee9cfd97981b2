package drill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"redhen/appliance/space"
	"redhen/provision/roster"
	"redhen/raftnode/directory"
)

// prove shows that somebody who logged in elsewhere is known here, reads what was
// written before, and writes.
func (d *Drills) prove(ctx context.Context, q question) (p Proof) {
	begun := time.Now()
	p.Box, p.House = d.names()
	var errs []error
	step := func(done *bool, what string, do func() error) {
		if len(errs) > 0 {
			return
		}
		if err := do(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
			return
		}
		*done = true
	}
	var fs *space.FS
	step(&p.Login, "login", func() error {
		s, err := d.cfg.Accounts.Verify(q.Token)
		if err == nil {
			fs, err = d.cfg.Space(ctx, s.Account, s.Name)
		}
		return err
	})
	step(&p.Read, "read", func() error { return reads(ctx, fs, q.Path, q.Text) })
	step(&p.Write, "write", func() (err error) {
		p.Kept, err = writes(ctx, fs, fmt.Sprintf("%s %s.txt", strings.TrimSuffix(q.Path, ".txt"), d.cfg.Box.Short()))
		return err
	})
	p.Millis = time.Since(begun).Milliseconds()
	if err := errors.Join(errs...); err != nil {
		p.Why = cut(err.Error())
	}
	return p
}

// cut bounds what goes into a report.
func cut(s string) string { return s[:min(len(s), 500)] }

func (d *Drills) names() (box, house string) {
	_ = d.look(func(_ directory.View, r *roster.State) error { // without a circle there are none
		me, _ := r.Box(d.cfg.Box)
		h, _ := r.House(me.House)
		box, house = me.Name, h.Name
		return nil
	})
	return box, house
}

func reads(ctx context.Context, fs *space.FS, path, want string) error {
	f, err := fs.Open(ctx, path)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err == nil && string(b) != want {
		err = errors.New("other bytes")
	}
	return err
}

// writes writes a file, reads it again, and takes it away.
func writes(ctx context.Context, fs *space.FS, path string) (kept int, err error) {
	const text = "People carried on here while another house played dead.\n"
	a, err := fs.Put(ctx, path, strings.NewReader(text), space.PutOptions{Size: int64(len(text))})
	if err != nil {
		return 0, err
	}
	if err := reads(ctx, fs, path, text); err != nil {
		return a.Kept, err
	}
	_, err = fs.Remove(ctx, path, space.WriteOptions{})
	return a.Kept, err
}
