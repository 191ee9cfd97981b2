package vault

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"redhen/raftnode/directory"
)

const (
	leaseFor   = 2 * time.Minute
	leaseAgain = 5 * time.Second
	leaseBelow = "lease/"
)

// Lease is a lock that the circle gave to this box. It is kept by renewal until it is
// given back; the box dies, and it ends by itself two minutes later.
type Lease struct {
	v      *Vault
	name   string
	holder [16]byte
	end    context.CancelFunc
	done   sync.WaitGroup
}

// Take waits until nobody holds the lease, and takes it.
func (v *Vault) Take(ctx context.Context, name string) (*Lease, error) {
	for {
		l, ok, err := v.TryTake(ctx, name)
		if err != nil || ok {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(leaseAgain):
		}
	}
}

// TryTake takes the lease if nobody holds it.
func (v *Vault) TryTake(ctx context.Context, name string) (*Lease, bool, error) {
	l := &Lease{v: v, name: leaseBelow + name}
	rand.Read(l.holder[:])
	if err := l.ask(ctx, leaseFor); errors.Is(err, ErrRefused) {
		return nil, false, nil
	} else if err != nil {
		return nil, false, err
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	l.end = end
	l.done.Go(func() { l.keep(life) })
	return l, true, nil
}

func (l *Lease) ask(ctx context.Context, d time.Duration) error {
	return l.v.command(ctx, directory.Command{TakeLease: &directory.TakeLease{Name: l.name, Holder: l.holder, For: d.Milliseconds()}})
}

// keep makes the lease longer until ctx ends.
func (l *Lease) keep(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(leaseFor / 3):
		}
		once, done := context.WithTimeout(ctx, leaseFor/3)
		if err := l.ask(once, leaseFor); err != nil && ctx.Err() == nil {
			l.v.cfg.Logger.Warn("lease not kept", "name", l.name, "err", err)
		}
		done()
	}
}

// Release gives the lease back.
func (l *Lease) Release(ctx context.Context) error {
	l.end()
	l.done.Wait()
	return l.ask(ctx, 0)
}
