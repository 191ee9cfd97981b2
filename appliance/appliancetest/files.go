package appliancetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"redhen/appliance/space"
	"redhen/provision/ident"
	"redhen/raftnode"
	"redhen/raftnode/directory"
)

// Files is the own space of an account, as this box shows it. Logging in is part of it.
func (b *Box) Files(ctx context.Context, login string) (*space.FS, error) {
	_, session, err := b.Accounts().Login(ctx, login, Password(login))
	if err != nil {
		return nil, err
	}
	return b.Space(ctx, session.Account, login)
}

// TryWrite puts a file into the account's own space.
func (b *Box) TryWrite(ctx context.Context, login, path string, body []byte) (space.Answer, error) {
	return b.TryUpload(ctx, login, path, bytes.NewReader(body), int64(len(body)))
}

// TryUpload puts a file of a size into the account's own space.
func (b *Box) TryUpload(ctx context.Context, login, path string, body io.Reader, size int64) (a space.Answer, err error) {
	err = b.AtTheDoor(ctx, func(ctx context.Context) error {
		fs, err := b.Files(ctx, login)
		if err != nil {
			return err
		}
		a, err = fs.Put(ctx, path, untilEnd{ctx, body}, space.PutOptions{Size: size})
		return err
	})
	return a, err
}

// untilEnd breaks a body off when the context ends, as a connection does.
type untilEnd struct {
	ctx context.Context
	r   io.Reader
}

// Read reads on.
func (u untilEnd) Read(b []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(b)
}

// Write is TryWrite that must work within a minute.
func (b *Box) Write(login, path string, body []byte) space.Answer {
	b.w.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	a, err := b.TryWrite(ctx, login, path, body)
	if err != nil {
		b.w.T.Fatalf("%s writes %s: %v", b.Name, path, err)
	}
	return a
}

// TryRead reads a file of the account's own space.
func (b *Box) TryRead(ctx context.Context, login, path string) (body []byte, err error) {
	err = b.AtTheDoor(ctx, func(ctx context.Context) error {
		fs, err := b.Files(ctx, login)
		if err != nil {
			return err
		}
		f, err := fs.Open(ctx, path)
		if err != nil {
			return err
		}
		defer f.Close()
		body, err = io.ReadAll(f)
		return err
	})
	return body, err
}

// Holds ends the test unless a file reads as it should, at this box and within a minute.
func (b *Box) Holds(login, path string, want []byte) {
	b.w.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	got, err := b.TryRead(ctx, login, path)
	if err != nil {
		b.w.T.Fatalf("%s reads %s: %v", b.Name, path, err)
	}
	if !bytes.Equal(got, want) {
		b.w.T.Fatalf("%s reads %s: other bytes, %d of %d", b.Name, path, len(got), len(want))
	}
}

// Shows waits until a file reads as it should at this box, and returns how long that took.
func (b *Box) Shows(login, path string, want []byte, max time.Duration) time.Duration {
	b.w.T.Helper()
	return b.w.Until(b.Name+" shows "+path, max, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		got, err := b.TryRead(ctx, login, path)
		return err == nil && bytes.Equal(got, want)
	})
}

// Shards returns the circle shard and the spaces, as this box knows them.
func (b *Box) Shards() (list []ident.ShardID) {
	err := b.Node().Directory(func(v directory.View) error {
		for shard := range v.Placements() {
			list = append(list, shard)
		}
		return nil
	})
	if err != nil {
		b.w.T.Fatalf("%s: %v", b.Name, err)
	}
	slices.Sort(list)
	return list
}

// Status returns what the box knows of itself.
func (b *Box) Status() raftnode.Status {
	st, err := b.Node().Status(context.Background())
	if err != nil {
		b.w.T.Fatalf("%s: %v", b.Name, err)
	}
	return st
}

// Leading returns how the shards are that this box leads.
func (b *Box) Leading() (list []raftnode.ShardStatus) {
	for _, sh := range b.Status().Shards {
		if sh.Leads {
			list = append(list, sh)
		}
	}
	return list
}

// Complete reports whether every shard of the first box's circle has a leader among
// the running boxes and the wanted number of voters, all of which, and all learners,
// are up to date and owe nothing, on running boxes only; and whether no box has
// anything left to send.
func (w *World) Complete(voters int) bool {
	led, wanted := map[ident.ShardID]bool{}, map[ident.ShardID]bool{}
	for _, b := range w.circle() {
		for _, s := range b.Shards() {
			wanted[s] = true
		}
		for _, sh := range b.Status().Shards {
			if sh.Pending > 0 || sh.Failed != "" {
				return false
			}
			if sh.Leads && whole(sh, voters) {
				led[sh.Shard] = true
			}
		}
	}
	return len(wanted) > 0 && len(led) == len(wanted)
}

// circle returns the running boxes that are in a circle with the first of them.
func (w *World) circle() (list []*Box) {
	var id ident.CircleID
	for _, b := range w.boxes {
		if b.Appliance == nil {
			continue
		}
		r := b.Circle().Roster()
		if r != nil && id == "" {
			id = r.Circle()
		}
		if r != nil && r.Circle() == id {
			list = append(list, b)
		}
	}
	return list
}

// whole reports whether a leader knows all replicas of its shard to be complete.
func whole(sh raftnode.ShardStatus, voters int) bool {
	n := 0
	for _, m := range sh.Members {
		if m.Voter {
			n++
		}
		if !m.Alive || !m.Complete() {
			return false
		}
	}
	return n == voters
}

// unwhole says what keeps the circle from being complete.
func (w *World) unwhole(voters int) string {
	var out strings.Builder
	for _, b := range w.circle() {
		fmt.Fprintf(&out, "%s is %s\n", b.Name, b.ID().Short())
		for _, sh := range b.Status().Shards {
			if sh.Pending > 0 || sh.Failed != "" || sh.Leader == "" || sh.Leads && !whole(sh, voters) {
				fmt.Fprintf(&out, "  %+v\n", sh)
			}
		}
	}
	return out.String()
}

// AwaitComplete waits until the circle is Complete, and returns how long that took.
func (w *World) AwaitComplete(voters int, max time.Duration) time.Duration {
	w.T.Helper()
	begun := time.Now()
	for !w.Complete(voters) {
		if time.Since(begun) > max {
			w.T.Log(w.unwhole(voters))
			w.T.Fatalf("not within %v: every shard whole with %d voters", max, voters)
		}
		time.Sleep(250 * time.Millisecond)
	}
	return time.Since(begun)
}
