package status

import "time"

// publicScenes make each fault of a public name happen.
func publicScenes() map[Code]Facts {
	named := func(change func(*PublicName)) Facts {
		f := whole(3)
		f.Public = &PublicName{
			Domain: "hens.dedyn.io", Provider: "desec.io", Since: noon.Add(-3 * time.Hour),
			Ends: noon.AddDate(0, 2, 0), Set: noon.AddDate(0, -1, 0),
		}
		f.Started = noon.Add(-time.Hour)
		change(f.Public)
		return f
	}
	trouble := func(t string) Facts { return named(func(n *PublicName) { n.Trouble = t }) }
	return map[Code]Facts{
		CodeNameToken: trouble("token"), CodeNameStolen: trouble("stolen"), CodeNameServer: trouble("server"),
		CodeNameNobody: trouble("nobody"), CodeNameElsewhere: trouble("elsewhere"),
		CodeCertificate:   named(func(n *PublicName) { n.Ends, n.Late = noon.AddDate(0, 0, 9), true }),
		CodeNoCertificate: named(func(n *PublicName) { n.Ends = time.Time{} }),
	}
}
