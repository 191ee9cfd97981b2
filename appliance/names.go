package appliance

import (
	"context"
	"os"

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
