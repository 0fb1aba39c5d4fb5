"""What there are reports about: a period and the read model in, a document out; a file a kind."""

from report_service.kinds.customer_statement import customer_statement
from report_service.kinds.orders_summary import orders_summary
from report_service.kinds.sales_by_product import sales_by_product
from report_service.kinds.system_activity import system_activity

__all__ = ["customer_statement", "orders_summary", "sales_by_product", "system_activity"]
