"""One learnable number for every group of rows."""

import pytest
import torch
from torch.testing import assert_close

from skhybrid.model.group_table import GroupTable, centred_values
from skhybrid.model.stacked_networks import StackedNetworks

CODES = (1.0, 4.0, 7.0)


def table_with(values, axis=-1):
    """Return a table with these values."""
    table = GroupTable(CODES, values.shape[-1], axis).to(values.dtype)
    table.values.data = values
    return table


def test_a_row_gets_the_value_of_its_group_less_the_mean():
    values = torch.tensor([[1.0, 10.0], [2.0, 20.0], [6.0, 0.0]])
    found = table_with(values)(torch.tensor([[7.0], [1.0], [4.0], [1.0]]))
    assert_close(found, (values - values.mean(dim=0))[[2, 0, 1, 0]])


@pytest.mark.parametrize("code", [-1.0, 0.0, 2.5, 8.0])
def test_an_unknown_group_gets_zero(code):
    values = torch.tensor([[1.0], [2.0], [6.0]])
    assert table_with(values)(torch.tensor([[code]])).item() == 0.0


def test_one_group_alone_is_the_common_value():
    table = GroupTable((3.0,), 1, -1)
    table.values.data.fill_(5.0)
    assert table(torch.tensor([[3.0]])).item() == 0.0


def test_fields_have_the_group_on_their_channel_axis():
    values = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    codes = torch.tensor([1.0, 7.0]).reshape(2, 1, 1).expand(2, 1, 5)
    found = table_with(values, axis=-2)(codes)
    assert found.shape == (2, 2, 5)
    assert_close(found[1, :, 3], centred_values(values)[2])


def test_rows_of_all_members_get_the_values_of_their_member():
    values = torch.randn(2, 3, 1, generator=torch.Generator().manual_seed(0))
    codes = torch.tensor([[1.0], [4.0], [9.0]])
    stacked = StackedNetworks(GroupTable(CODES, 1, -1), 2).function({"values": values})
    together = stacked(torch.cat([codes, codes]))
    alone = [table_with(each)(codes) for each in values]
    assert_close(together, torch.cat(alone))
