package main

import (
	"errors"

	"github.com/spf13/cobra"

	"redhen/appliance/account"
	"redhen/appliance/api"
)

func (a *app) foundCommand() *cobra.Command {
	var f api.Found
	cmd := &cobra.Command{
		Use: "found", Short: "Begin a circle on a fresh box (password on the input)", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := need(cmd, "circle", "house", "box", "keeper"); err != nil {
				return err
			}
			if f.Keeper, err = a.keeper(f.Keeper.Login); err != nil {
				return err
			}
			if err := a.box().Found(cmd.Context(), f); err != nil {
				return err
			}
			return a.done("The circle %s began, with %s at %s. %s may log in. Invite a second house with: redhen invite box", f.Circle, f.Box, f.House, f.Keeper.Login)
		},
	}
	cmd.Flags().StringVar(&f.Circle, "circle", "", "name of the circle")
	a.placeFlags(cmd, &f.House, &f.Box, &f.Keeper.Login)
	return cmd
}

func (a *app) placeFlags(cmd *cobra.Command, house, box, keeper *string) {
	cmd.Flags().StringVar(house, "house", "", "name of the house that this box stands in")
	cmd.Flags().StringVar(box, "box", "", "name of this box")
	cmd.Flags().StringVar(keeper, "keeper", "", "name of the person who keeps this box")
}

// keeper makes the keeper of a new box from the name that was typed, which may be
// that of a person or a login name, and reads the password.
func (a *app) keeper(typed string) (api.Keeper, error) {
	k := api.Keeper{Login: account.CleanName(typed)}
	if errors.Is(account.CheckName(k.Login), account.ErrName) {
		k.Login, k.FullName = account.SuggestName(typed), typed
	}
	var err error
	k.Password, err = a.password("Password for " + k.Login)
	return k, err
}
