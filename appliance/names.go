package appliance

import (
	"context"
	"os"

	"redhen/provision/p2p"
)

// hostNames are the names by which this box's pages may be asked for, beside
// addresses: the box's own on the local network first, then the machine's.
func (a *Appliance) hostNames() (names []string) {
	if label := p2p.HostLabel(a.About().Name); label != "" && a.cfg.LAN {
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
	names := p2p.NewNames(a.log, p2p.CommonName)
	go func() { // ends with ctx
		for {
			news := a.node.News()
			if box := a.About(); box.Name != "" {
				names.Set(p2p.CommonName, box.Name)
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
