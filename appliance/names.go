package appliance

import (
	"context"

	"redhen/provision/p2p"
)

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
