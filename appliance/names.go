package appliance

import (
	"context"
	"net/netip"
	"os"
	"sync"
	"time"

	"redhen/provision/p2p/localname"
)

// hostNames are the names by which this box's pages may be asked for, beside
// addresses: the box's own on the local network first, then the machine's.
func (a *Appliance) hostNames() (names []string) {
	if label := localname.Label(a.About().Name); label != "" && a.cfg.LAN {
		names = append(names, label+".local")
	}
	if host, err := os.Hostname(); err == nil {
		names = append(names, host, host+".local")
	}
	return append(names, a.public.domain.Names()...)
}

// answerNames answers on the local network for redhen.local and for the box's own
// name, until ctx ends. Without a local network there is nothing to do.
func (a *Appliance) answerNames(ctx context.Context) error {
	if !a.cfg.LAN || a.http == nil {
		return nil
	}
	names := localname.New(a.log, localname.Common)
	go func() { // ends with ctx
		for {
			news := a.node.News()
			if box := a.About(); box.Name != "" {
				names.Set(localname.Common, box.Name)
			} else if !box.Claimed {
				names.Set(localname.Common, localname.Fresh)
			}
			select {
			case <-ctx.Done():
				return
			case <-news:
			}
		}
	}()
	return names.Run(ctx)
}

const (
	listenFor = 700 * time.Millisecond // for the answers of fresh boxes
	heardFor  = 10 * time.Second       // how long they count
)

// freshBoxes finds the boxes on the local network that belong to nobody yet, by asking
// for their common name, not too often.
type freshBoxes struct {
	ask func(ctx context.Context, label string) ([]netip.Addr, error)
	now func() time.Time

	mu    sync.Mutex // guards what follows, and that one question is asked at a time
	heard []netip.Addr
	at    time.Time
}

// list returns their addresses.
func (f *freshBoxes) list(ctx context.Context) []netip.Addr {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.now(); f.at.IsZero() || now.Sub(f.at).Abs() >= heardFor {
		ctx, end := context.WithTimeout(ctx, listenFor)
		defer end()
		f.heard, _ = f.ask(ctx, localname.Fresh) // a network that carries no question has none
		f.at = now
	}
	return f.heard
}
